package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// postgresConnections is the size of the pool unless the address has
	// pool_max_conns.
	postgresConnections = 16
	// postgresLifetime ends connections now and then, so that they spread over
	// servers again after one was away. Each ends up to a fifth earlier, so that
	// those that began together do not end together.
	postgresLifetime = 30 * time.Minute
	postgresIdleTime = 5 * time.Minute
	// postgresCancelTime is how long a statement that nobody waits for any more is
	// given to end after the server was asked to end it; then its connection goes.
	postgresCancelTime = 2 * time.Second
	// postgresConnectTimeout bounds one attempt to connect, unless the address
	// has connect_timeout.
	postgresConnectTimeout = 5 * time.Second
)

// postgresSettings are settings of the server's session, in its own units
// (milliseconds), unless the address has them.
var postgresSettings = map[string]string{
	"application_name": "ashlar",
	"TimeZone":         "UTC",
	// For what has no deadline, or a very long one: a request has one, mostly of
	// seconds, and at its end the statement is cancelled.
	"statement_timeout": "30000",
	// A request does better to fail than to queue behind a lock.
	"lock_timeout":                        "5000",
	"idle_in_transaction_session_timeout": "60000",
}

// postgresServer is a database on a PostgreSQL server, or on one that speaks its
// protocol.
type postgresServer struct {
	config      *pgx.ConnConfig
	connections int
}

func parsePostgres(u *url.URL) (postgresServer, error) {
	query := u.Query()
	connections := postgresConnections
	if text := query.Get("pool_max_conns"); text != "" {
		var err error
		if connections, err = strconv.Atoi(text); err != nil || connections < 1 {
			return postgresServer{}, fmt.Errorf("pool_max_conns=%q in the address of the database: write a number of connections, like %d", text, postgresConnections)
		}
		query.Del("pool_max_conns")
	}
	plain := *u
	plain.RawQuery = query.Encode()
	config, err := pgx.ParseConfig(plain.String())
	if err != nil {
		// Not wrapped: pgx quotes the address, and does not always find the password in it.
		return postgresServer{}, fmt.Errorf("the address of the PostgreSQL database cannot be used (%s): %s", withoutSecrets(err, u), mend)
	}
	for name, value := range postgresSettings {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	if !query.Has("connect_timeout") {
		config.ConnectTimeout = postgresConnectTimeout
	}
	return postgresServer{config: config, connections: connections}, nil
}

// withoutSecrets is the reason of pgx's error, or less where it could show a
// password.
func withoutSecrets(err error, u *url.URL) string {
	reason := errors.Unwrap(err)
	if reason == nil {
		return "pgx does not accept it"
	}
	var secrets []string
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password)
	}
	secrets = append(secrets, u.Query().Get("password"), u.Query().Get("sslpassword"))
	for _, secret := range secrets {
		if secret != "" && strings.Contains(reason.Error(), secret) {
			return "pgx does not accept it"
		}
	}
	return reason.Error()
}

// name is the place of the database and the user, without the password.
func (s postgresServer) name() string {
	return fmt.Sprintf("%s at %s as %s", s.config.Database, net.JoinHostPort(s.config.Host, strconv.Itoa(int(s.config.Port))), s.config.User)
}

func (s postgresServer) open(observer *observer) *sql.DB {
	config := s.config.Copy()
	if observer.perStatement() {
		config.Tracer = pgxTracer{observer}
	}
	config.BuildContextWatcherHandler = cancelOnServer
	db := sql.OpenDB(postgresConnector{
		stdlib.GetConnector(*config, stdlib.OptionAfterConnect(prepareConnection), stdlib.OptionResetSession(endOfLife)),
	})
	db.SetMaxOpenConns(s.connections)
	db.SetMaxIdleConns(s.connections)
	db.SetConnMaxLifetime(postgresLifetime)
	db.SetConnMaxIdleTime(postgresIdleTime)
	return db
}

func (s postgresServer) openForMigration() *sql.DB {
	config := s.config.Copy()
	// Building an index takes as long as it takes. The lock timeout stays: a
	// migration that waits for a lock makes everybody else wait behind it.
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(timesInUTC))
	db.SetMaxOpenConns(2) // one holds the lock of the migration
	return db
}

// openBeside leaves out cancelOnServer: a server that does not answer would not
// answer that either.
func (s postgresServer) openBeside() *sql.DB {
	db := stdlib.OpenDB(*s.config.Copy(), stdlib.OptionAfterConnect(timesInUTC))
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(postgresLifetime)
	return db
}

// cancelOnServer ends a statement on the server when its caller has left, and
// keeps the connection: callers who leave again and again must not cost a new
// connection each time.
func cancelOnServer(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: postgresCancelTime}
}

// lifeEnds is where a connection has the moment at which it ends.
const lifeEnds = "ashlar.dev/ent/database: end of life"

func prepareConnection(ctx context.Context, conn *pgx.Conn) error {
	earlier := rand.N(postgresLifetime / 5) //nolint:gosec // spreads load; nobody gains by guessing it
	conn.PgConn().CustomData()[lifeEnds] = time.Now().Add(postgresLifetime - earlier)
	if err := timesInUTC(ctx, conn); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, planEachTime)
	return err
}

// planEachTime has each statement planned for its own values. PostgreSQL would
// come to plan it once for any: but an organization can have ten rows or a
// million, and what is right for most reads all of a large one. Where a server
// has no such setting, nothing happens.
const planEachTime = "SELECT set_config(name, 'force_custom_plan', false) FROM pg_settings WHERE name = 'plan_cache_mode'"

// endOfLife has a connection replaced that is old enough, when it is taken from
// the pool.
func endOfLife(_ context.Context, conn *pgx.Conn) error {
	if ends, ok := conn.PgConn().CustomData()[lifeEnds].(time.Time); ok && time.Now().After(ends) {
		return driver.ErrBadConn
	}
	return nil
}

// timesInUTC makes times read in UTC, as from SQLite, and not in the time zone of
// this process.
func timesInUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

func (s postgresServer) probe(ctx context.Context, db *sql.DB) error {
	var (
		readOnly, path string
		schema         sql.NullString
	)
	err := db.QueryRowContext(ctx, "SELECT current_setting('transaction_read_only'), current_schema(), current_setting('search_path')").
		Scan(&readOnly, &schema, &path)
	switch {
	case err != nil:
		return s.explain(err)
	case readOnly == "on":
		return fmt.Errorf("%s: it can be read only: give the address of the primary, or add target_session_attrs=read-write", s.where())
	case !schema.Valid:
		return fmt.Errorf("%s: there is no schema that %s may use (search_path is %s): %s", s.where(), s.config.User, path, mendRights)
	}
	return nil
}

func (s postgresServer) look(ctx context.Context, db *sql.DB) error { return s.probe(ctx, db) }

// mendRights ends messages about a role that may not do what a service has to.
const mendRights = "let platformctl db provision make the schema and the role, or make the role the owner of its schema and set the role's search_path to it"

func (s postgresServer) where() string { return "open the PostgreSQL database " + s.name() }

func (s postgresServer) explain(err error) error {
	refusal, refused := errors.AsType[*pgconn.PgError](err)
	connecting, unreached := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case refused && strings.HasPrefix(refusal.Code, classAuthorization):
		return fmt.Errorf("%s: the server refuses the user or the password: correct them in %s, or let the user in (%w)", s.where(), addressVariables, err)
	case refused && refusal.Code == codeNoDatabase:
		return fmt.Errorf("%s: there is no such database: create it with CREATE DATABASE, or correct the name in %s (%w)", s.where(), addressVariables, err)
	case refused && refusal.Code == codeTooManyConnections:
		return fmt.Errorf("%s: the server has no connection left: raise its max_connections, or the CONNECTION LIMIT of the role or the database, or lower pool_max_conns in %s (%w)", s.where(), addressVariables, err)
	case refused && refusal.Code == codePrivilege && unreached:
		return fmt.Errorf("%s: the role may not connect to it: GRANT CONNECT ON DATABASE, or let platformctl db provision do it (%w)", s.where(), err)
	case refused && refusal.Code == codePrivilege:
		return fmt.Errorf("%s: the role lacks a right: %s (%w)", s.where(), mendRights, err)
	case isFull(err):
		return fmt.Errorf("%s: the server's disk is full: free some space there (%w)", s.where(), err)
	case unreached && !refused:
		return fmt.Errorf("%s: it cannot be reached: start it (where its disk is full, after some space is free), or correct host and port in %s (%w)", s.where(), addressVariables, connecting)
	}
	return fmt.Errorf("%s: %w", s.where(), err)
}
