// Package dev holds tests: each of the repository's services beside the core ones, tried among all others through the
// gateway. A service's own tests know nothing of the gateway.
package dev
