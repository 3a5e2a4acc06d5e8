// Package e2e tests the platform as its users have it: the programs in .bin/, started by platformctl, with a real Consul,
// called over HTTP by curl, buf, Node.js and a browser. Nothing of the platform runs in the process of the tests, and they
// must not know more of it than users can: its command line, its RPCs, its files, and what Consul shows.
//
// `./taskw test` builds what is needed first. What is missing on the machine (Node.js, Chromium, jq, curl) skips the
// tests that need it, and fails them where CI=true.
package e2e
