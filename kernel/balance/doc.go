// Package balance sends HTTP requests to a service by name: a RoundTripper that picks one of the instances that
// discovery shows.
//
//	client := &http.Client{Transport: balance.New(directory, balance.DefaultBase())}
//	client.Post("http://identity/ashlar.identity.v1.UserService/GetUser", …)
//
// Of two instances taken at random it picks the one with fewer outstanding requests ("power of two choices"). An
// instance that cannot be dialed is passed over for a while, and the request goes to another one: nothing of it
// had been sent, so that is safe for every request. So is, without another try for the request, one at which requests
// break again and again; never more than half of the instances for that. One that is new or back begins with less
// than its share. A request that is said to have no side effects goes to another instance also when it breaks. Anything
// else that goes wrong is the caller's to judge.
//
// Whoever sends requests by other means than a RoundTripper takes a Lease for each.
//
// It must not know RPC, nor any service by name.
package balance
