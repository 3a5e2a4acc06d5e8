-- +goose Up
-- create "notes" table
CREATE TABLE `notes` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `title` text NOT NULL,
  `body` text NOT NULL DEFAULT (''),
  PRIMARY KEY (`id`)
);
-- create index "notes_title_key" to table: "notes"
CREATE UNIQUE INDEX `notes_title_key` ON `notes` (`title`);
-- create index "note_created_at_id" to table: "notes"
CREATE INDEX `note_created_at_id` ON `notes` (`created_at`, `id`);
-- create "outbox_events" table
CREATE TABLE `outbox_events` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `event_id` text NOT NULL,
  `payload` blob NOT NULL,
  `created_at` integer NOT NULL
);
-- create index "outbox_events_event_id_key" to table: "outbox_events"
CREATE UNIQUE INDEX `outbox_events_event_id_key` ON `outbox_events` (`event_id`);
-- create "outbox_leases" table
CREATE TABLE `outbox_leases` (
  `id` text NOT NULL,
  `holder` text NOT NULL,
  `expires_at` integer NOT NULL,
  PRIMARY KEY (`id`)
);
