-- +goose Up
-- create "notes" table
CREATE TABLE `notes` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `organization_id` text NOT NULL,
  `display_name` text NOT NULL,
  `description` text NOT NULL,
  `created_by` text NOT NULL,
  `version` integer NOT NULL DEFAULT (1),
  `request_key` text NULL,
  PRIMARY KEY (`id`)
);
-- create index "notes_request_key_key" to table: "notes"
CREATE UNIQUE INDEX `notes_request_key_key` ON `notes` (`request_key`);
-- create index "note_organization_id_id" to table: "notes"
CREATE INDEX `note_organization_id_id` ON `notes` (`organization_id`, `id`);
-- create index "note_organization_id_created_by_id" to table: "notes"
CREATE INDEX `note_organization_id_created_by_id` ON `notes` (`organization_id`, `created_by`, `id`);
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
