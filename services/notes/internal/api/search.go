package api

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"connectrpc.com/connect/v2"

	notesv1 "ashlar.dev/gen/go/acme/notes/v1"
	"ashlar.dev/kernel/authn"
	"ashlar.dev/kernel/page"
	"ashlar.dev/kernel/rpcerror"
)

// maxWords bounds a query.
const maxWords = 10

// SearchNotes implements acme.notes.v1.NoteService.
func (h *Notes) SearchNotes(ctx context.Context, req *notesv1.SearchNotesRequest) (*notesv1.SearchNotesResponse, error) {
	words, err := wordsOf(req.GetQuery())
	if err != nil {
		return nil, err
	}
	cursor, err := page.Open(req, "search", authn.FromContext(ctx).UserID, req.GetOrganizationId(), req.GetQuery())
	if err != nil {
		return nil, err
	}
	viewer, err := h.viewer(ctx, req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	found, err := h.store.Search(ctx, viewer, words, cursor.After, cursor.Limit())
	if err != nil {
		return nil, err
	}
	notes, next := messages(cursor, found)
	return &notesv1.SearchNotesResponse{Notes: notes, NextPageToken: next}, nil
}

// wordsOf returns the words of a query. They hold nothing that means something to a search engine.
func wordsOf(query string) ([]string, error) {
	words := strings.FieldsFunc(query, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	switch {
	case len(words) == 0:
		return nil, invalidQuery("has no word")
	case len(words) > maxWords:
		return nil, invalidQuery(fmt.Sprintf("has %d words, more than %d", len(words), maxWords))
	default:
		return words, nil
	}
}

func invalidQuery(why string) error {
	return rpcerror.New(connect.CodeInvalidArgument, rpcerror.ReasonInvalidRequest, "query "+why, rpcerror.Field("query", why))
}
