// Package mixin holds the fields that ent schemas of all services share: the
// id, the times, and the tables of the outbox.
//
// It is imported by schema packages, which are compiled and run by the code
// generator, so it depends on nothing but ent. It must not know a service, a
// driver or the generated code.
package mixin
