package limit

import (
	"errors"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errAddress shows no part of the address, in which there are passwords.
var errAddress = errors.New("no address of Redis: want redis://[user:password@]host:port/[database], or rediss:// with TLS; " +
	"with ?addr=host:port for each further node of a cluster, or ?master_name= where the host is a Sentinel")

// parseAddress reads an address as the client library writes them: one with `master_name` is that of Sentinels, one with
// `addr` that of a cluster. Of what else it may say, nothing is taken that would change how long a call takes, or which
// node answers it.
func parseAddress(address string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errAddress
	}
	var o *redis.UniversalOptions
	switch query := u.Query(); {
	case query.Has("master_name"):
		o, err = parseSentinels(address)
	case query.Has("addr"):
		o, err = parseCluster(u)
	default:
		o, err = parseServer(address)
	}
	if err != nil {
		return nil, errAddress
	}
	if o.TLSConfig != nil && (o.MasterName != "" || o.IsClusterMode) {
		o.TLSConfig.ServerName = "" // the library has that of the first for all, the master too; each has to prove its own
	}
	o.ContextTimeoutEnabled = true
	o.MaxRetries = -1 // whoever asks tries again with newer numbers
	o.MaxRedirects = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = tellTime, tellTime, tellTime
	o.PoolSize, o.MinIdleConns, o.DialerRetries = 2, 0, 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // would change time-outs
	return o, nil
}

func parseServer(address string) (*redis.UniversalOptions, error) {
	o, err := redis.ParseURL(address)
	if err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, Protocol: o.Protocol, DB: o.DB, TLSConfig: o.TLSConfig}, nil
}

func parseSentinels(address string) (*redis.UniversalOptions, error) {
	o, err := redis.ParseFailoverURL(address)
	if err != nil {
		return nil, err
	}
	if o.MasterName == "" {
		return nil, errAddress
	}
	return &redis.UniversalOptions{
		Addrs: o.SentinelAddrs, MasterName: o.MasterName, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		Username: o.Username, Password: o.Password, Protocol: o.Protocol, DB: o.DB, TLSConfig: o.TLSConfig,
	}, nil
}

func parseCluster(u *url.URL) (*redis.UniversalOptions, error) {
	if database := strings.Trim(u.Path, "/"); database != "" && database != "0" {
		return nil, errAddress // the library would take it for 0, which is all that clusters have
	}
	o, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return nil, err
	}
	return &redis.UniversalOptions{Addrs: o.Addrs, IsClusterMode: true, Username: o.Username, Password: o.Password, Protocol: o.Protocol, TLSConfig: o.TLSConfig}, nil
}
