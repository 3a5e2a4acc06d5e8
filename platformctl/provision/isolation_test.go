package provision_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the database refuses one service's role, whatever the service's program does.
func TestAServiceIsRefusedAnothersTables(t *testing.T) {
	t.Parallel()
	w := provisioned(t, "auth", "identity")
	auth, identity := w.of("auth"), w.of("identity")
	// Each works in its schema without naming it.
	w.do(auth, "CREATE TABLE credentials (id text PRIMARY KEY)", "INSERT INTO credentials VALUES ('usr_ada')")
	w.do(identity, "CREATE TABLE users (id text PRIMARY KEY)", "INSERT INTO users VALUES ('usr_ada')",
		"CREATE FUNCTION everyone() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM users'",
		"CREATE SEQUENCE numbers")
	require.Equal(t, "auth", ask[string](w, auth, "SELECT schemaname FROM pg_tables WHERE tablename = 'credentials'"))
	require.Equal(t, w.Role("identity"), ask[string](w, auth, "SELECT tableowner FROM pg_tables WHERE tablename = 'users'"))

	const (
		privilege = "42501"
		noTable   = "42P01"
		noSchema  = "3F000"
	)
	for name, test := range map[string]struct {
		code       string
		statements []string
	}{
		"reading":             {privilege, []string{"SELECT * FROM identity.users"}},
		"counting":            {privilege, []string{"SELECT count(*) FROM identity.users"}},
		"copying":             {privilege, []string{"COPY identity.users TO STDOUT"}},
		"writing":             {privilege, []string{"INSERT INTO identity.users VALUES ('usr_eve')"}},
		"changing":            {privilege, []string{"UPDATE identity.users SET id = 'usr_eve'"}},
		"deleting":            {privilege, []string{"DELETE FROM identity.users"}},
		"truncating":          {privilege, []string{"TRUNCATE identity.users"}},
		"locking":             {privilege, []string{"BEGIN", "LOCK TABLE identity.users"}},
		"altering":            {privilege, []string{"ALTER TABLE identity.users ADD COLUMN x text"}},
		"dropping":            {privilege, []string{"DROP TABLE identity.users"}},
		"dropping the schema": {privilege, []string{"DROP SCHEMA identity CASCADE"}},
		"referring to":        {privilege, []string{"CREATE TABLE mine (id text REFERENCES identity.users (id))"}},
		"inheriting":          {privilege, []string{"CREATE TABLE mine () INHERITS (identity.users)"}},
		"calling":             {privilege, []string{"SELECT identity.everyone()"}},
		"counting on":         {privilege, []string{"SELECT nextval('identity.numbers')"}},
		"creating":            {privilege, []string{"CREATE TABLE identity.mine (id text)"}},
		"moving":              {privilege, []string{"ALTER TABLE credentials SET SCHEMA identity"}},
		"granting":            {privilege, []string{"GRANT USAGE ON SCHEMA identity TO CURRENT_USER"}},
		"looking there first": {noTable, []string{"SET search_path = identity, auth", "SELECT * FROM users"}},
		"creating there":      {noSchema, []string{"SET search_path = identity", "CREATE TABLE mine (id text)"}},
		"becoming the other":  {privilege, []string{"SET ROLE " + w.Role("identity")}},
		"becoming a superuser": {
			privilege, []string{"SET SESSION AUTHORIZATION ashlar"},
		},
		"making roles":          {privilege, []string{"CREATE ROLE " + w.RolePrefix + "_eve"}},
		"taking the role":       {privilege, []string{"GRANT " + w.Role("identity") + " TO " + w.Role("auth")}},
		"changing its password": {privilege, []string{"ALTER ROLE " + w.Role("identity") + " PASSWORD 'x'"}},
		"creating in public":    {privilege, []string{"CREATE TABLE public.mine (id text)"}},
		"creating a schema":     {privilege, []string{"CREATE SCHEMA mine"}},
		"creating temporarily":  {privilege, []string{"CREATE TEMPORARY TABLE mine (id text)"}},
		"creating an extension": {privilege, []string{"CREATE EXTENSION pgcrypto"}},
		"reading the server":    {privilege, []string{"SELECT pg_read_file('PG_VERSION')"}},
		"running a program":     {privilege, []string{"COPY credentials TO PROGRAM 'cat'"}},
		"reading passwords":     {privilege, []string{"SELECT * FROM pg_authid"}},
		"telling the server":    {privilege, []string{"SELECT pg_reload_conf()"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.try(auth, test.statements...)
			require.Equal(t, test.code, code(t, err), "%v", err)
		})
	}
	require.EqualValues(t, 1, ask[int64](w, identity, "SELECT count(*) FROM users"))
	require.EqualValues(t, 0, ask[int64](w, w.address, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
}

// Who is no service of the platform does not get in.
func TestOthersMayNotConnect(t *testing.T) {
	t.Parallel()
	w := provisioned(t, "auth")
	eve := w.RolePrefix + "_stranger"
	w.do(w.address, "CREATE ROLE "+eve+" LOGIN PASSWORD 'x'")
	t.Cleanup(func() { w.do(w.address, "DROP ROLE "+eve) })
	require.Equal(t, "42501", code(t, w.try(w.as(eve, "x"), "SELECT 1")))
}
