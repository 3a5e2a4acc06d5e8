package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ashlar.dev/ent/database/plantest"
	"ashlar.dev/services/auth/internal/refreshtoken"
	"ashlar.dev/services/auth/internal/store"
	"ashlar.dev/services/auth/migrations"
)

// people is how many there are beside one who signs in all the time, such as a program.
const people = 200_000

func fill(sql plantest.SQL) []string {
	return []string{
		fmt.Sprintf("INSERT INTO credentials (id, created_at, updated_at, password_hash, state) SELECT %s, %s, %[2]s, '$argon2id$', CASE WHEN i %% 1000 = 0 THEN 'pending' ELSE 'active' END FROM %s",
			sql.Text("usr_", "i"), sql.At("i"), sql.Series(sql.Rows)),
		// Most sessions of those who sign in often have been ended.
		fmt.Sprintf("INSERT INTO sessions (id, user_id, organization_id, created_at, refreshed_at, expires_at, revoked_at, family_hash, token_hash) "+
			"SELECT %[1]s, %[2]s, 'org_1', %[3]s, %[3]s, %[4]s, CASE WHEN i %% 1000 < 990 THEN %[3]s END, %[5]s, %[5]s FROM %[6]s",
			sql.Text("ses_", "i"), sql.Spread("usr_", people), sql.At("i"), sql.At("i + 1209600"), sql.Bytes("('h' || i)"), sql.Series(sql.Rows)),
		// So have most keys of a person who makes one every day.
		fmt.Sprintf("INSERT INTO api_keys (id, user_id, organization_id, display_name, created_at, expires_at, revoked_at, secret_hash) "+
			"SELECT %[1]s, %[2]s, '', 'nightly', %[3]s, %[4]s, CASE WHEN i %% 1000 < 990 THEN %[3]s END, %[5]s FROM %[6]s",
			sql.Text("key_", "i"), sql.Spread("usr_", people), sql.At("i"), sql.At("i + 1209600"), sql.Bytes("('h' || i)"), sql.Series(sql.Rows)),
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	plantest.Run(t, migrations.FS, fill, func(t *testing.T, p *plantest.Plans) {
		// The last tenth of the sessions has not expired.
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(1209600+p.Rows*9/10) * time.Second)
		ctx, s := t.Context(), store.New(p.DB, nil, func() time.Time { return now })
		const limit = 51
		for page, before := range map[string]string{
			"first": "", "middle": plantest.Name("ses_", p.Rows*95/100), "last": plantest.Name("ses_", p.Rows*91/100),
		} {
			for _, user := range []string{"usr_" + plantest.Big, plantest.Name("usr_", 77)} {
				p.Page(t, "LiveSessions/"+user+"/"+page, func() error { _, err := s.LiveSessions(ctx, user, before, limit); return err })
			}
		}
		p.Always(t, "LiveSession", func() error {
			_, err := s.LiveSession(ctx, "usr_"+plantest.Big, plantest.Name("ses_", p.Rows-4))
			return except(err, store.ErrSessionRevoked)
		})
		p.Always(t, "TokenSession", func() error {
			_, err := s.TokenSession(ctx, refreshtoken.Token{})
			return except(err, store.ErrNotFound)
		})
		p.Always(t, "Credential", func() error { _, err := s.Credential(ctx, plantest.Name("usr_", 77)); return err })
		p.Page(t, "PendingSince", func() error { _, err := s.PendingSince(ctx, time.Hour, limit); return err })
		p.Page(t, "WasMadeAdministrator", func() error { _, err := s.WasMadeAdministrator(ctx, "usr_"+plantest.Big); return err })
		for page, before := range map[string]string{
			"first": "", "middle": plantest.Name("key_", p.Rows*95/100), "last": plantest.Name("key_", p.Rows*91/100),
		} {
			for _, user := range []string{"usr_" + plantest.Big, plantest.Name("usr_", 77)} {
				p.Page(t, "LiveAPIKeys/"+user+"/"+page, func() error { _, err := s.LiveAPIKeys(ctx, user, before, limit); return err })
			}
		}
		p.Always(t, "LiveAPIKey", func() error {
			_, err := s.LiveAPIKey(ctx, "usr_"+plantest.Big, plantest.Name("key_", p.Rows-4))
			return except(err, store.ErrNotFound)
		})
		p.Always(t, "UseAPIKey", func() error {
			_, err := s.UseAPIKey(ctx, plantest.Name("key_", p.Rows-4), nil)
			return except(err, store.ErrNotFound)
		})
		p.Page(t, "DeleteAPIKeys", func() error { _, err := s.DeleteAPIKeys(ctx, time.Hour, limit); return err })
		p.Page(t, "DeleteSessions", func() error { _, err := s.DeleteSessions(ctx, time.Hour, limit); return err })
		p.Complete(t, s, map[string]string{
			"NoteAdministrator": "inserts", "CreatePending": "inserts", "CreateActive": "inserts", "CreateSession": "inserts",
			"CreateFirstSigningKey": "inserts", "ReplaceSigningKey": "there are few keys",
			"SigningKeys": "there are few keys", "DeleteSigningKeys": "there are few keys",
			"DeletePending": "by id", "Activate": "by id", "ReplaceHash": "by id", "Postpone": "by id",
			"CreateAPIKey": "inserts, after a count of at most 50 as in LiveAPIKeys", "RevokeAPIKey": "by id, as LiveAPIKey",
			"RevokeSession": "by id, as LiveSession", "EndSession": "by id", "Rotate": "by the token, as TokenSession",
			"RefuseSession": "asks no database",
		})
	})
}

func except(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
