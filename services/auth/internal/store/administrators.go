package store

import (
	"context"

	"ashlar.dev/services/auth/ent"
	"ashlar.dev/services/auth/ent/administrator"
)

// NoteAdministrator remembers that the configuration made a user an administrator. Doing it again changes nothing.
func (s *Store) NoteAdministrator(ctx context.Context, userID string) error {
	err := s.client.Administrator.Create().SetID(userID).SetGrantedAt(s.now()).Exec(ctx)
	if ent.IsConstraintError(err) {
		return nil
	}
	return err
}

// WasMadeAdministrator tells whether the configuration has made a user an administrator already.
func (s *Store) WasMadeAdministrator(ctx context.Context, userID string) (bool, error) {
	return s.client.Administrator.Query().Where(administrator.ID(userID)).Exist(ctx)
}
