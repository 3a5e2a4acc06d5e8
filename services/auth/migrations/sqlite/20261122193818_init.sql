-- +goose Up
-- create "administrators" table
CREATE TABLE `administrators` (
  `id` text NOT NULL,
  `granted_at` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
-- create "credentials" table
CREATE TABLE `credentials` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `password_hash` text NOT NULL,
  `state` text NOT NULL DEFAULT ('pending'),
  PRIMARY KEY (`id`)
);
-- create index "credential_state_updated_at" to table: "credentials"
CREATE INDEX `credential_state_updated_at` ON `credentials` (`state`, `updated_at`);
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
-- create "sessions" table
CREATE TABLE `sessions` (
  `id` text NOT NULL,
  `user_id` text NOT NULL,
  `organization_id` text NOT NULL DEFAULT (''),
  `created_at` datetime NOT NULL,
  `refreshed_at` datetime NOT NULL,
  `expires_at` datetime NOT NULL,
  `revoked_at` datetime NULL,
  `family_hash` blob NOT NULL,
  `token_hash` blob NOT NULL,
  `previous_hash` blob NULL,
  PRIMARY KEY (`id`)
);
-- create index "sessions_family_hash_key" to table: "sessions"
CREATE UNIQUE INDEX `sessions_family_hash_key` ON `sessions` (`family_hash`);
-- create index "session_user_id_id" to table: "sessions"
CREATE INDEX `session_user_id_id` ON `sessions` (`user_id`, `id`);
-- create index "session_expires_at" to table: "sessions"
CREATE INDEX `session_expires_at` ON `sessions` (`expires_at`);
-- create "signing_keys" table
CREATE TABLE `signing_keys` (
  `id` text NOT NULL,
  `public_key` blob NOT NULL,
  `sealed_private_key` blob NOT NULL,
  `created_at` datetime NOT NULL,
  `retired_at` datetime NULL,
  `active` bool NULL,
  PRIMARY KEY (`id`)
);
-- create index "signingkey_active" to table: "signing_keys"
CREATE UNIQUE INDEX `signingkey_active` ON `signing_keys` (`active`);
