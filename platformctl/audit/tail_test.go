package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/stretchr/testify/require"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
)

// cutter is a service whose streams end after every second message.
type cutter struct {
	auditv1connect.UnimplementedAuditServiceHandler

	calls int
	// fails is what ends a stream; refuses ends one before it has brought anything, from the second on.
	fails, refuses *connect.Error
}

// TailEvents implements ashlar.audit.v1.AuditService: the token is the number of the next event.
func (c *cutter) TailEvents(_ context.Context, req *auditv1.TailEventsRequest, stream auditv1connect.AuditServiceTailEventsServerStream) error {
	c.calls++
	next := req.GetFromLeafIndex()
	if req.GetResumeToken() != "" {
		if c.refuses != nil {
			return c.refuses
		}
		var err error
		if next, err = strconv.ParseInt(req.GetResumeToken(), 10, 64); err != nil {
			return err
		}
	}
	// A heartbeat, and an event.
	if err := stream.Send(&auditv1.TailEventsResponse{ResumeToken: strconv.FormatInt(next, 10)}); err != nil {
		return err
	}
	err := stream.Send(&auditv1.TailEventsResponse{
		Event: &auditv1.Event{Id: "evt_\x1b[31m", Action: "note.\x1b[31mcreate", LeafIndex: &next}, ResumeToken: strconv.FormatInt(next+1, 10),
	})
	if err != nil {
		return err
	}
	return c.fails
}

func follow(t *testing.T, c *cutter, command *Tail) (string, error) {
	t.Helper()
	server := connect.NewServer()
	auditv1connect.RegisterAuditServiceHandler(server, c)
	var out bytes.Buffer
	f := &follower{
		tail: command, out: &out, req: &auditv1.TailEventsRequest{Start: &auditv1.TailEventsRequest_FromLeafIndex{}},
		service: auditv1connect.NewAuditServiceClient(connect.NewClient(connectinprocess.New(server))),
	}
	err := f.follow(t.Context())
	return out.String(), err
}

func TestAStreamIsGoneOnWith(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]*connect.Error{
		"the service drains":    connect.NewError(connect.CodeUnavailable, "going away"),
		"the token has expired": connect.NewError(connect.CodeUnauthenticated, "expired"),
		"too many streams":      connect.NewError(connect.CodeResourceExhausted, "later"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cutter{fails: fails}
			text, err := follow(t, c, &Tail{Output: "json", Count: 3})
			require.NoError(t, err)
			require.Equal(t, 3, c.calls)
			var places []string
			for line := range strings.Lines(text) {
				var message struct {
					Event struct {
						LeafIndex string `json:"leafIndex"`
					} `json:"event"`
				}
				require.NoError(t, json.Unmarshal([]byte(line), &message))
				places = append(places, message.Event.LeafIndex)
			}
			require.Equal(t, []string{"0", "1", "2"}, places)
		})
	}
}

func TestWhatIsForThePersonToSee(t *testing.T) {
	t.Parallel()
	away := connect.NewError(connect.CodeUnavailable, "going away")
	for name, c := range map[string]*cutter{
		"the permission was taken": {fails: away, refuses: connect.NewError(connect.CodePermissionDenied, "no")},
		"the session was ended":    {fails: away, refuses: connect.NewError(connect.CodeUnauthenticated, "no")},
		"the token is of no use":   {fails: away, refuses: connect.NewError(connect.CodeInvalidArgument, "no")},
	} {
		_, err := follow(t, c, &Tail{Output: "json", Count: 3})
		require.Equal(t, c.refuses.Code(), connect.CodeOf(err), name)
		require.Equal(t, 2, c.calls, name)
	}
}

// What others wrote moves no cursor and changes no color.
func TestLinesAreClean(t *testing.T) {
	t.Parallel()
	text, err := follow(t, &cutter{}, &Tail{Output: "table", Count: 1})
	require.NoError(t, err)
	require.NotContains(t, text, "\x1b")
	require.Equal(t, 1, strings.Count(text, "\n"))
	require.Contains(t, text, "create")
}
