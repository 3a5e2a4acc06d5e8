package wire

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

const (
	connectTimeout = "Connect-Timeout-Ms"
	grpcTimeout    = "Grpc-Timeout"

	// The most digits that the protocols allow.
	maxConnectDigits = 10
	maxGRPCDigits    = 8
	maxGRPCValue     = 99_999_999
	maxConnectValue  = 9_999_999_999
)

// errTimeout is the error of a timeout header that does not follow its protocol.
var errTimeout = errors.New("the timeout header is malformed")

// Timeout returns how long a caller is willing to wait. ok is false where it does not say, or names more time than
// can be counted. Connect: Connect-Timeout-Ms, at most ten digits. gRPC and gRPC-Web: Grpc-Timeout, at most eight
// digits and a unit.
func Timeout(p Protocol, header http.Header) (d time.Duration, ok bool, err error) {
	if p == GRPC || p == GRPCWeb {
		return parseGRPCTimeout(header.Get(grpcTimeout))
	}
	return parseConnectTimeout(header.Get(connectTimeout))
}

// HasTimeout tells whether a caller says how long he is willing to wait.
func HasTimeout(p Protocol, header http.Header) bool {
	if p == GRPC || p == GRPCWeb {
		return header.Get(grpcTimeout) != ""
	}
	return header.Get(connectTimeout) != ""
}

// SetTimeout replaces all that a request says about its deadline.
func SetTimeout(p Protocol, header http.Header, d time.Duration) {
	ClearTimeout(header)
	ms := max(d.Milliseconds(), 0)
	if p != GRPC && p != GRPCWeb {
		header.Set(connectTimeout, strconv.FormatInt(min(ms, maxConnectValue), 10))
		return
	}
	if ms <= maxGRPCValue {
		header.Set(grpcTimeout, strconv.FormatInt(ms, 10)+"m")
		return
	}
	header.Set(grpcTimeout, strconv.FormatInt(min(ms/1000, maxGRPCValue), 10)+"S")
}

// ClearTimeout removes all that a request says about its deadline.
func ClearTimeout(header http.Header) {
	header.Del(connectTimeout)
	header.Del(grpcTimeout)
}

func parseConnectTimeout(s string) (time.Duration, bool, error) {
	if s == "" {
		return 0, false, nil
	}
	n, ok := digits(s, maxConnectDigits)
	if !ok {
		return 0, false, errTimeout
	}
	return time.Duration(n) * time.Millisecond, true, nil
}

func parseGRPCTimeout(s string) (time.Duration, bool, error) {
	if s == "" {
		return 0, false, nil
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false, errTimeout
	}
	n, ok := digits(s[:len(s)-1], maxGRPCDigits)
	if !ok {
		return 0, false, errTimeout
	}
	if n > math.MaxInt64/int64(unit) {
		return 0, false, nil // more than 292 years
	}
	return time.Duration(n) * unit, true, nil
}

// digits reads a number of at most limit digits and nothing else.
func digits(s string, limit int) (int64, bool) {
	if s == "" || len(s) > limit {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
