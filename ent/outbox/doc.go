// Package outbox delivers events that belong to a change in a service's
// database: an event is written in the transaction of the change, so that both
// are there or neither, and a relay delivers it afterwards, at least once and in
// order.
//
// Order means: an event whose transaction began after another's had been
// committed is delivered after it. Transactions that overlapped come in either
// order on PostgreSQL; on SQLite there are none.
//
// The tables come with mixin.Outbox and mixin.OutboxLease. The package must not
// know what an event holds or where it goes.
package outbox
