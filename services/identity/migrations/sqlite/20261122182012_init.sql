-- +goose Up
-- create "memberships" table
CREATE TABLE `memberships` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `organization_id` text NOT NULL,
  `user_id` text NOT NULL,
  PRIMARY KEY (`id`)
);
-- create index "membership_organization_id_user_id" to table: "memberships"
CREATE UNIQUE INDEX `membership_organization_id_user_id` ON `memberships` (`organization_id`, `user_id`);
-- create index "membership_organization_id_id" to table: "memberships"
CREATE INDEX `membership_organization_id_id` ON `memberships` (`organization_id`, `id`);
-- create index "membership_user_id_id" to table: "memberships"
CREATE INDEX `membership_user_id_id` ON `memberships` (`user_id`, `id`);
-- create "organizations" table
CREATE TABLE `organizations` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `display_name` text NOT NULL,
  `deactivated` bool NOT NULL DEFAULT (false),
  `request_key` text NULL,
  PRIMARY KEY (`id`)
);
-- create index "organizations_request_key_key" to table: "organizations"
CREATE UNIQUE INDEX `organizations_request_key_key` ON `organizations` (`request_key`);
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
-- create "users" table
CREATE TABLE `users` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `email` text NOT NULL,
  `display_name` text NOT NULL,
  `deactivated` bool NOT NULL DEFAULT (false),
  `request_key` text NULL,
  PRIMARY KEY (`id`)
);
-- create index "users_email_key" to table: "users"
CREATE UNIQUE INDEX `users_email_key` ON `users` (`email`);
-- create index "users_request_key_key" to table: "users"
CREATE UNIQUE INDEX `users_request_key_key` ON `users` (`request_key`);
