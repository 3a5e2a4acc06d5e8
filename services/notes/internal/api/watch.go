package api

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/gen/go/acme/notes/v1/notesv1connect"
	"ashlar.dev/gen/go/permissions/notesperms"
	"ashlar.dev/kernel/rpcerror"
	"ashlar.dev/services/notes/internal/store"
)

const (
	// heartbeat is how often a watcher hears something, and how late, at most, a stream ends whose caller may not read
	// notes any more: less than what proxies between them take for a dead connection.
	heartbeat = 15 * time.Second
	// watchAtOnce is how many changes are looked at in one go. It bounds what a slow watcher costs: these notes.
	watchAtOnce = 25
)

// watch is one stream.
type watch struct {
	h       *Notes
	stream  notesv1connect.NoteServiceWatchNotesServerStream
	viewer  store.Viewer
	through int64 // the last change that was looked at
	// complete is a time up to which all there is to tell was told.
	complete time.Time
}

// WatchNotes implements acme.notes.v1.NoteService. A watcher reads the store's changes at its own pace; the feed only
// wakes it.
func (h *Notes) WatchNotes(ctx context.Context, req *notesv1.WatchNotesRequest, stream notesv1connect.NoteServiceWatchNotesServerStream) error {
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return err
	}
	// Before looking where the changes are: what happens in between wakes it.
	feed := h.feed.Watch(req.GetOrganizationId())
	defer feed.Close()
	w := &watch{h: h, stream: stream, viewer: viewer}
	if w.through, w.complete, err = h.begin(ctx, viewer, req.GetResumeToken()); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	// Without a change: so the caller knows that the stream is open, and from where on.
	if err := w.tell(&notesv1.WatchNotesResponse{}); err != nil {
		return err
	}
	for {
		if err := w.catchUp(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-feed.Woken:
		case <-beat.C:
			if err := w.checkAccess(ctx); err != nil {
				return err
			}
			if err := w.tell(&notesv1.WatchNotesResponse{}); err != nil {
				return err
			}
		}
	}
}

// begin returns the change after which a stream begins, and a time before which there is nothing to tell.
func (h *Notes) begin(ctx context.Context, viewer store.Viewer, token string) (int64, time.Time, error) {
	if token != "" {
		return parseResumeToken(viewer, token)
	}
	now := time.Now()
	last, err := h.store.LastChange(ctx, viewer.OrganizationID)
	return last, now, err
}

// catchUp sends what is new.
func (w *watch) catchUp(ctx context.Context) error {
	for {
		asked := time.Now()
		changes, through, err := w.h.store.Changes(ctx, w.viewer, w.through, watchAtOnce)
		if err != nil {
			return err
		}
		if through == w.through {
			w.complete = asked
			return nil
		}
		if len(changes) > 0 {
			// The access rule was asked when the stream began, which may be long ago.
			if err := w.checkAccess(ctx); err != nil {
				return err
			}
		}
		for _, change := range changes {
			w.through = change.ID
			if err := w.tell(message(change)); err != nil {
				return err
			}
		}
		w.through = through
	}
}

func message(change store.Change) *notesv1.WatchNotesResponse {
	if change.Note == nil {
		return &notesv1.WatchNotesResponse{Change: &notesv1.WatchNotesResponse_RemovedNoteId{RemovedNoteId: change.NoteID}}
	}
	return &notesv1.WatchNotesResponse{Change: &notesv1.WatchNotesResponse_Note{Note: noteMessage(change.Note)}}
}

// tell sends a message with where the stream is.
func (w *watch) tell(res *notesv1.WatchNotesResponse) error {
	res.ResumeToken = resumeToken(w.viewer, w.through, w.complete)
	return w.stream.Send(res)
}

// checkAccess ends the stream where the caller may see less, or more, than at its beginning.
func (w *watch) checkAccess(ctx context.Context) error {
	may, err := holds(ctx, w.h.decider, notesperms.NoteRead, w.viewer.OrganizationID)
	if err != nil {
		return err
	}
	if !may {
		return rpcerror.New(connect.CodePermissionDenied, rpcerror.ReasonPermissionDenied,
			"you may not read notes any more", rpcerror.Meta("permission", string(notesperms.NoteRead)))
	}
	viewer, err := w.h.viewer(ctx, w.viewer.OrganizationID)
	if err != nil {
		return err
	}
	if viewer != w.viewer {
		return rpcerror.New(connect.CodeAborted, reasonAccessChanged, "what you may see has changed: watch without a resume_token, and list")
	}
	return nil
}
