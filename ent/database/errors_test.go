package database_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"

	"ashlar.dev/ent/database"
)

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code}) }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                   {nil, false},
		"the server stops":          {server("57P01"), true},
		"the server starts":         {server("57P03"), true},
		"too many connections":      {server("53300"), true},
		"the server's disk is full": {server("53100"), true},
		"a standby":                 {server("25006"), true},
		"no lock in time":           {server("55P03"), true},
		"a conflict":                {server("40001"), true},
		"a cut connection":          {driver.ErrBadConn, true},
		"a refused connection":      {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"a slow statement":          {server("57014"), false},
		"a unique key":              {server("23505"), false},
		"a wrong statement":         {server("42601"), false},
		"a deadline":                {context.DeadlineExceeded, false},
		"a caller who left":         {context.Canceled, false},
	} {
		assert.Equal(t, test.want, database.IsUnavailable(test.err), name)
	}
}
