// Package consultest starts real Consul agents for tests: on loopback, on free ports, with nothing left behind.
//
// The consul binary is the one at ASHLAR_TEST_CONSUL, else the one on PATH, else .bin/consul of the workspace. Where there is
// none a test is skipped, and fails if CI=true.
package consultest
