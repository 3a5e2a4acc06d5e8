package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrMalformed says that a stored hash is not one of this package's.
var ErrMalformed = errors.New("not a PHC string of argon2id")

// Bounds of what is accepted from a stored hash, so that a row that was tampered with cannot eat the machine.
const (
	maxEncoded    = 512
	maxMemory     = 1 << 18 // KiB: 256 MiB
	maxPasses     = 16
	maxThreads    = 16
	minSalt       = 8 // RFC 9106, section 3.1
	maxSalt       = 64
	minTag        = 16
	maxTag        = 64
	blocksPerLane = 8 // the least memory is so many KiB for each thread (RFC 9106, section 3.1)
)

// encoding is that of the PHC string format: standard base64 without padding.
var encoding = base64.RawStdEncoding.Strict()

// hash is a PHC string taken apart.
type hash struct {
	Params

	salt, tag []byte
}

// String returns the PHC string: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Passes, h.Threads,
		encoding.EncodeToString(h.salt), encoding.EncodeToString(h.tag))
}

// parse reads a PHC string. It accepts only what String writes, and parameters within the bounds.
func parse(encoded string) (hash, error) {
	if len(encoded) > maxEncoded {
		return hash{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(encoded))
	}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return hash{}, ErrMalformed
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return hash{}, fmt.Errorf("%w: version %q", ErrMalformed, parts[2])
	}
	var h hash
	var err error
	if h.Params, err = parseParams(parts[3]); err != nil {
		return hash{}, err
	}
	if h.salt, err = parseBytes("salt", parts[4], minSalt, maxSalt); err != nil {
		return hash{}, err
	}
	if h.tag, err = parseBytes("hash", parts[5], minTag, maxTag); err != nil {
		return hash{}, err
	}
	return h, nil
}

func parseParams(s string) (Params, error) {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return Params{}, fmt.Errorf("%w: parameters %q", ErrMalformed, s)
	}
	memory, err := parseParam("m", fields[0], maxMemory)
	if err != nil {
		return Params{}, err
	}
	passes, err := parseParam("t", fields[1], maxPasses)
	if err != nil {
		return Params{}, err
	}
	threads, err := parseParam("p", fields[2], maxThreads)
	if err != nil {
		return Params{}, err
	}
	if memory < blocksPerLane*threads {
		return Params{}, fmt.Errorf("%w: m=%d is too little for p=%d", ErrMalformed, memory, threads)
	}
	return Params{Memory: memory, Passes: passes, Threads: uint8(threads)}, nil
}

func parseParam(name, field string, most uint64) (uint32, error) {
	digits, ok := strings.CutPrefix(field, name+"=")
	n, err := strconv.ParseUint(digits, 10, 32)
	// The PHC format knows one way to write a number: no sign, no leading zero.
	if !ok || err != nil || n == 0 || n > most || strconv.FormatUint(n, 10) != digits {
		return 0, fmt.Errorf("%w: parameter %q: want %s=1 to %d", ErrMalformed, field, name, most)
	}
	return uint32(n), nil
}

func parseBytes(what, s string, least, most int) ([]byte, error) {
	b, err := encoding.DecodeString(s)
	if err != nil || len(b) < least || len(b) > most || encoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("%w: %s: want %d to %d bytes in base64 without padding", ErrMalformed, what, least, most)
	}
	return b, nil
}
