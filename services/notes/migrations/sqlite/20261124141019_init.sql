-- +goose Up
-- create "changes" table
CREATE TABLE `changes` (
  `id` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `organization_id` text NOT NULL,
  `note_id` text NOT NULL,
  `user_id` text NOT NULL,
  `created_at` datetime NOT NULL
);
-- create index "change_organization_id_id" to table: "changes"
CREATE INDEX `change_organization_id_id` ON `changes` (`organization_id`, `id`);
-- create index "change_created_at" to table: "changes"
CREATE INDEX `change_created_at` ON `changes` (`created_at`);
-- create "notes" table
CREATE TABLE `notes` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `organization_id` text NOT NULL,
  `title` text NOT NULL,
  `body` text NOT NULL,
  `owner_id` text NOT NULL,
  `version` integer NOT NULL DEFAULT (1),
  `request_key` text NULL,
  PRIMARY KEY (`id`)
);
-- create index "notes_request_key_key" to table: "notes"
CREATE UNIQUE INDEX `notes_request_key_key` ON `notes` (`request_key`);
-- create index "note_organization_id_id" to table: "notes"
CREATE INDEX `note_organization_id_id` ON `notes` (`organization_id`, `id`);
-- create index "note_organization_id_owner_id_id" to table: "notes"
CREATE INDEX `note_organization_id_owner_id_id` ON `notes` (`organization_id`, `owner_id`, `id`);
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
-- create "shares" table
CREATE TABLE `shares` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `user_id` text NOT NULL,
  `note_id` text NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `shares_notes_shares` FOREIGN KEY (`note_id`) REFERENCES `notes` (`id`) ON DELETE CASCADE
);
-- create index "share_note_id_user_id" to table: "shares"
CREATE UNIQUE INDEX `share_note_id_user_id` ON `shares` (`note_id`, `user_id`);
-- create index "share_note_id_id" to table: "shares"
CREATE INDEX `share_note_id_id` ON `shares` (`note_id`, `id`);
-- create index "share_user_id_note_id" to table: "shares"
CREATE INDEX `share_user_id_note_id` ON `shares` (`user_id`, `note_id`);
