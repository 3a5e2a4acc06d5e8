package provision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"ashlar.dev/kernel/config"
	"ashlar.dev/platform/home"
)

// lockInterval is the time between two attempts to get the lock.
const lockInterval = 50 * time.Millisecond

// closeTimeout bounds the good-bye to a server.
const closeTimeout = 5 * time.Second

// What a service gets, in the order in which it is made.
const (
	thingRole     = "role"
	thingSchema   = "schema"
	thingPassword = "password"
)

// Outcome is what there is for one service.
type Outcome struct {
	Service  string `json:"service"`
	Database string `json:"database"`
	Role     string `json:"role"`
	Schema   string `json:"schema"`
	// File has the address, with the password.
	File string `json:"file"`
	// Made are those of role, schema and password that this run has made; Kept were there before, and are as they must be.
	Made []string `json:"made"`
	Kept []string `json:"kept"`
}

// Run makes what is planned, in the database of the administrator's address, and tries each service's address. Several at
// once take turns. What a run that was cut has left undone, the next one does: what is there is kept, and a service
// whose file is lost, or has a password that is not good any more, gets a new password.
//
// The outcomes are those of services that are done; with an error they may be fewer.
func Run(ctx context.Context, admin *Admin, plan Plan) (_ []Outcome, err error) {
	statements, err := plan.SQL(admin.Database())
	if err != nil {
		return nil, err
	}
	for _, s := range plan.Services {
		if err := private(filepath.Dir(s.File)); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, admin.config)
	if err != nil {
		return nil, admin.explain(err)
	}
	defer func() { err = errors.Join(err, goodbye(ctx, conn)) }()
	r := &run{Admin: admin, plan: plan, conn: conn}
	if err := r.lock(ctx); err != nil { // which ends with the connection
		return nil, err
	}
	before, err := r.there(ctx)
	if err != nil {
		return nil, admin.explain(err)
	}
	if _, err := conn.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		return nil, admin.explain(err)
	}
	var done []Outcome
	for _, s := range plan.Services {
		outcome, err := r.service(ctx, s, before)
		if err != nil {
			return done, fmt.Errorf("%s: %w", s.Name, err)
		}
		done = append(done, outcome)
	}
	return done, nil
}

// run is one run.
type run struct {
	*Admin

	plan Plan
	conn *pgx.Conn
}

// lock takes the lock that keeps two runs apart. It does not wait in the server, where a wait would hold up others.
func (r *run) lock(ctx context.Context) error {
	tick := time.NewTicker(lockInterval)
	defer tick.Stop()
	for {
		var locked bool
		if err := r.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", lockClass, lockOne).Scan(&locked); err != nil {
			return r.explain(err)
		}
		if locked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another platformctl, which provisions %s: %w", r.where(), ctx.Err())
		case <-tick.C:
		}
	}
}

// there returns the names of roles and schemas that are there already.
func (r *run) there(ctx context.Context) (map[string]bool, error) {
	rows, err := r.conn.Query(ctx, "SELECT 'role ' || rolname FROM pg_roles UNION ALL SELECT 'schema ' || nspname FROM pg_namespace")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	found := make(map[string]bool, len(names))
	for _, name := range names {
		found[name] = true
	}
	return found, err
}

// service makes sure that a service's address is in its file, and good.
func (r *run) service(ctx context.Context, s Service, before map[string]bool) (Outcome, error) {
	o := Outcome{Service: s.Name, Database: r.Database(), Role: r.plan.Role(s.Name), Schema: s.Schema, File: s.File, Made: []string{}, Kept: []string{}}
	o.count(thingRole, before[thingRole+" "+o.Role])
	o.count(thingSchema, before[thingSchema+" "+s.Schema])
	address, err := config.ReadSecretFile(s.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return o, err
	default:
		err := r.try(ctx, address, o)
		if !errors.Is(err, errPassword) {
			o.count(thingPassword, true)
			return o, err
		}
	}
	password := newPassword()
	kept, err := verifier(password)
	if err != nil {
		return o, err
	}
	// The file comes first: a password that the server knows and no file holds would be lost, and a file with one that it
	// does not know is found by the next run.
	address = r.address(o.Role, password)
	if err := home.WriteFile(s.File, address.Reveal()+"\n"); err != nil {
		return o, fmt.Errorf("write the address of its database: %w", err)
	}
	if _, err := r.conn.Exec(ctx, "ALTER ROLE "+ident(o.Role)+" PASSWORD "+literal(kept)); err != nil {
		return o, r.explain(err)
	}
	o.count(thingPassword, false)
	if err := r.try(ctx, address, o); err != nil {
		return o, fmt.Errorf("with the new password in %s: %w", s.File, err)
	}
	return o, nil
}

func (o *Outcome) count(thing string, kept bool) {
	if kept {
		o.Kept = append(o.Kept, thing)
	} else {
		o.Made = append(o.Made, thing)
	}
}

// private makes a folder that only its owner can look into, or makes sure that it is one.
func private(folder string) error {
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder %s is missing: make it, or name another one", filepath.Dir(folder))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder for addresses: %w", err)
	}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return fmt.Errorf("the folder for addresses: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others can look into %s (mode %04o), and passwords will be there: chmod 700 %s", folder, info.Mode().Perm(), folder)
	}
	return nil
}

func goodbye(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return conn.Close(ctx)
}
