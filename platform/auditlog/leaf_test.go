package auditlog_test

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/platform/auditlog"
)

// The leaves of these events are what verifiers everywhere compute: they never change. docs/audit.md has the first one.
func TestLeavesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/leaves.json")
	require.NoError(t, err)
	var vectors map[string]struct {
		Event json.RawMessage `json:"event"`
		Leaf  string          `json:"leaf"`
		Hash  string          `json:"hash"`
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors)
	for name, vector := range vectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e auditv1.Event
			require.NoError(t, protojson.Unmarshal(vector.Event, &e))
			hash := auditlog.LeafHash(&e)
			require.Equal(t, vector.Leaf, hex.EncodeToString(auditlog.Leaf(&e)))
			require.Equal(t, vector.Hash, hex.EncodeToString(hash[:]))
		})
	}
}

// What is sent as JSON or in binary, and in whatever order the map of attributes is, has the same leaf.
func TestTheWayOfAnEventDoesNotMatter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		e := randomEvent(random)
		want := auditlog.Leaf(e)
		binary, err := proto.Marshal(e)
		require.NoError(t, err)
		var fromBinary, fromJSON auditv1.Event
		require.NoError(t, proto.Unmarshal(binary, &fromBinary))
		require.Equal(t, want, auditlog.Leaf(&fromBinary))
		text, err := protojson.Marshal(e)
		require.NoError(t, err)
		require.NoError(t, protojson.Unmarshal(text, &fromJSON))
		require.Equal(t, want, auditlog.Leaf(&fromJSON))
	}
}

func randomEvent(random *rand.Rand) *auditv1.Event {
	text := func() string {
		letters := []rune("ab.=\n\x01é𝄞\"\\<\u2028")
		var b strings.Builder
		for range random.IntN(6) {
			b.WriteRune(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	e := &auditv1.Event{
		Id: text(), OccurredAt: timestamppb.New(time.UnixMicro(random.Int64N(1 << 50))), Service: text(), Procedure: text(), Action: text(),
		Actor:          &auditv1.Actor{Kind: auditv1.ActorKind(random.Int32N(5)), Id: text(), SessionId: text()},
		OrganizationId: text(), Resource: text(), Outcome: auditv1.Outcome(random.Int32N(5)), Reason: text(), TraceId: text(),
		Attributes: map[string]string{},
	}
	for range random.IntN(5) {
		e.Attributes[text()] = text()
	}
	return e
}

// Any change of any field makes another leaf; where the text moves from one field to its neighbour, too.
func TestEveryFieldCounts(t *testing.T) {
	t.Parallel()
	leaves := map[string]string{}
	for name, change := range map[string]func(*auditv1.Event){
		"nothing":            func(*auditv1.Event) {},
		"id":                 func(e *auditv1.Event) { e.Id += "x" },
		"no id":              func(e *auditv1.Event) { e.Id = "" },
		"time":               func(e *auditv1.Event) { e.OccurredAt = timestamppb.New(noon.Add(time.Microsecond)) },
		"no time":            func(e *auditv1.Event) { e.OccurredAt = nil },
		"service":            func(e *auditv1.Event) { e.Service = "other" },
		"procedure":          func(e *auditv1.Event) { e.Procedure = "" },
		"action":             func(e *auditv1.Event) { e.Action = "note.delete" },
		"kind":               func(e *auditv1.Event) { e.Actor.Kind = auditv1.ActorKind_ACTOR_KIND_SERVICE },
		"no kind":            func(e *auditv1.Event) { e.Actor.Kind = 0 },
		"an unknown kind":    func(e *auditv1.Event) { e.Actor.Kind = 17 },
		"actor":              func(e *auditv1.Event) { e.Actor.Id = "usr_bob" },
		"session":            func(e *auditv1.Event) { e.Actor.SessionId = "" },
		"no actor":           func(e *auditv1.Event) { e.Actor = nil },
		"moved":              func(e *auditv1.Event) { e.Actor.Id, e.Actor.SessionId = "usr_annses_1", "" },
		"organization":       func(e *auditv1.Event) { e.OrganizationId = "org_b" },
		"resource":           func(e *auditv1.Event) { e.Resource = "note_2" },
		"outcome":            func(e *auditv1.Event) { e.Outcome = auditv1.Outcome_OUTCOME_DENIED },
		"reason":             func(e *auditv1.Event) { e.Reason = "x" },
		"trace":              func(e *auditv1.Event) { e.TraceId = "" },
		"value":              func(e *auditv1.Event) { e.Attributes["title"] = "two" },
		"no value":           func(e *auditv1.Event) { e.Attributes["title"] = "" },
		"key":                func(e *auditv1.Event) { e.Attributes = map[string]string{"titel": "one"} },
		"one more":           func(e *auditv1.Event) { e.Attributes[""] = "" },
		"no attributes":      func(e *auditv1.Event) { e.Attributes = nil },
		"named like a field": func(e *auditv1.Event) { e.Attributes = map[string]string{"reason": "x"} },
	} {
		e := event(0)
		change(e)
		leaf := string(auditlog.Leaf(e))
		require.Empty(t, leaves[leaf], "%s has the leaf of it, too", name)
		leaves[leaf] = name
	}
	moved := event(0, func(e *auditv1.Event) { e.LeafIndex = proto.Int64(7) })
	require.Equal(t, auditlog.Leaf(event(0)), auditlog.Leaf(moved), "the place is no part of the leaf")
	finer := event(0, func(e *auditv1.Event) { e.OccurredAt.Nanos += 999 })
	require.Equal(t, auditlog.Leaf(event(0)), auditlog.Leaf(finer), "no more than microseconds are kept")
}

// A leaf can be read back as strings, so no two lists of strings have the same.
func FuzzLeaf(f *testing.F) {
	f.Add("evt_1", "org_a", "title", "one", int64(0))
	f.Add("", "", "", "", int64(-62135596800000000))
	f.Add("\x00\x00\x00\x01a", "\xff", "reason", "\x00", int64(1<<50))
	f.Fuzz(func(t *testing.T, id, organization, key, value string, micros int64) {
		e := &auditv1.Event{
			Id: id, OccurredAt: timestamppb.New(time.UnixMicro(micros)), OrganizationId: organization, Attributes: map[string]string{key: value},
		}
		want := []string{"ashlar.audit.v1.Event"}
		if id != "" {
			want = append(want, "id", id)
		}
		want = append(want, "occurred_at", time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z"))
		if organization != "" {
			want = append(want, "organization_id", organization)
		}
		want = append(want, "attributes."+key, value)
		require.Equal(t, want, stringsOf(t, auditlog.Leaf(e)))
	})
}

func stringsOf(t *testing.T, leaf []byte) (out []string) {
	t.Helper()
	for len(leaf) > 0 {
		require.GreaterOrEqual(t, len(leaf), 4)
		n := int(leaf[0])<<24 | int(leaf[1])<<16 | int(leaf[2])<<8 | int(leaf[3])
		require.GreaterOrEqual(t, len(leaf), 4+n)
		out, leaf = append(out, string(leaf[4:4+n])), leaf[4+n:]
	}
	return out
}
