package audit

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	auditv1 "ashlar.dev/gen/go/ashlar/audit/v1"
	"ashlar.dev/gen/go/ashlar/audit/v1/auditv1connect"
	"ashlar.dev/platform/auditlog"
	"ashlar.dev/platformctl/client"
	"ashlar.dev/platformctl/output"
	"ashlar.dev/platformctl/profile"
)

// Verify is the command that makes sure that nobody has changed the record.
type Verify struct {
	client.Flags
	output.Flag

	Org    string `aliases:"organization" help:"Only the events of this organization, each with a proof: for those who may not read everything." placeholder:"ORG" predictor:"org"`
	Forget bool   `help:"Forget what this profile has seen of the log, and trust whatever is there now: for when the platform was restored from a backup."`
	Key    string `help:"The key of the log, as its operator gave it to you; it is trusted from now on. Where not set, the one that was seen first is." placeholder:"KEY"`
}

// Help implements kong.HelpProvider.
func (*Verify) Help() string {
	return `It reads all events, computes the log's root hash from them, and compares it with what the log's key has signed and
with what this profile has seen before. Whoever may read one organization only verifies its events, each with a proof:

  platformctl audit verify
  platformctl audit verify --org ORG

Exit code 12 says that the record was tampered with.`
}

// Run implements the command.
func (v *Verify) Run(ctx context.Context, streams *output.Streams) error {
	connection, err := v.Connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	organization := v.Org // whatever the profile says: what is not verified is not safe
	service := auditv1connect.NewAuditServiceClient(connection.Client())
	answer, err := call(ctx, func(ctx context.Context) (*auditv1.GetCheckpointResponse, error) {
		return service.GetCheckpoint(ctx, &auditv1.GetCheckpointRequest{OrganizationId: organization})
	})
	if err != nil {
		return coded(err)
	}
	// Not the connection's profile, which is empty where its tokens are for another gateway.
	store, err := v.Store()
	if err != nil {
		return err
	}
	known, err := store.Load(connection.Profile().Name)
	if err != nil {
		return err
	}
	if v.Forget {
		known = &profile.Profile{Name: known.Name}
	}
	key, before, err := trust(known, connection.Gateway(), v.Key, answer.GetVerifierKey())
	if err != nil {
		return err
	}
	now, err := auditlog.OpenCheckpoint(answer.GetCheckpoint(), key)
	if err != nil {
		return coded(err)
	}
	l := &log{service: service, organization: organization, now: now, before: before, progress: newProgress(streams.Err, now.Size)}
	err = l.verify(ctx)
	l.progress.end()
	if err != nil {
		l.blame(ctx, streams.Err, err)
		return coded(err)
	}
	err = pin(ctx, store, known.Name, connection.Gateway(), pinned{VerifierKey: key, Checkpoint: answer.GetCheckpoint()}, now.Size, v.Forget)
	if err != nil {
		return fmt.Errorf("the record is as it was signed, but the profile cannot remember that: %w", err)
	}
	return v.Show(streams.Out, verified{
		Origin: now.Origin, Organization: organization, Events: l.events, TreeSize: now.Size, RootHash: now.Root.String(),
		VerifierKey: key, Before: seenBefore(before), Checkpoint: answer.GetCheckpoint(),
	})
}

func seenBefore(before *auditlog.Checkpoint) *int64 {
	if before == nil {
		return nil
	}
	return &before.Size
}

// verified is what the command shows: everything in it was verified.
type verified struct {
	Origin string `json:"origin"`
	// Organization is empty for the whole log.
	Organization string `json:"organization,omitempty"`
	// Events is how many events are what was recorded.
	Events   int64  `json:"events"`
	TreeSize int64  `json:"treeSize"`
	RootHash string `json:"rootHash"`
	// VerifierKey is what the checkpoint was verified with.
	VerifierKey string `json:"verifierKey"`
	// Before is the size that the log had when it was seen before, and which it begins with; null the first time.
	Before     *int64 `json:"before"`
	Checkpoint string `json:"checkpoint"`
}

// Table implements output.Tabular.
func (v verified) Table() output.Table {
	before := "first seen: its key is trusted from now on"
	if v.Before != nil {
		before = "the same first " + strconv.FormatInt(*v.Before, 10) + " events"
	}
	return output.Table{
		Header: []string{"LOG", "VERIFIED", "ON THE LOG", "ORGANIZATION", "ROOT HASH", "SINCE LAST TIME"},
		Rows: [][]string{{
			v.Origin, strconv.FormatInt(v.Events, 10), strconv.FormatInt(v.TreeSize, 10), cmp.Or(v.Organization, "all"), v.RootHash, before,
		}},
	}
}
