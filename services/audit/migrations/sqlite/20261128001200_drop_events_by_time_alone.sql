-- +goose Up
-- ashlar:contract since=20261124133431: "event_occurred_at_sequence" begins with its column and answers what it did
-- drop index "event_occurred_at" from table: "events"
DROP INDEX `event_occurred_at`;
