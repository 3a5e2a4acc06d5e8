-- +goose Up
-- create "grants" table
CREATE TABLE `grants` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `user_id` text NOT NULL,
  `organization_id` text NOT NULL DEFAULT (''),
  `role_id` text NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `grants_roles_grants` FOREIGN KEY (`role_id`) REFERENCES `roles` (`id`) ON DELETE CASCADE
);
-- create index "grant_user_id_organization_id_role_id" to table: "grants"
CREATE UNIQUE INDEX `grant_user_id_organization_id_role_id` ON `grants` (`user_id`, `organization_id`, `role_id`);
-- create index "grant_organization_id_id" to table: "grants"
CREATE INDEX `grant_organization_id_id` ON `grants` (`organization_id`, `id`);
-- create index "grant_role_id" to table: "grants"
CREATE INDEX `grant_role_id` ON `grants` (`role_id`);
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
-- create "permissions" table
CREATE TABLE `permissions` (
  `id` text NOT NULL,
  `module` text NOT NULL,
  `description` text NOT NULL,
  `removed` bool NOT NULL DEFAULT (false),
  PRIMARY KEY (`id`)
);
-- create "roles" table
CREATE TABLE `roles` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `organization_id` text NOT NULL DEFAULT (''),
  `name` text NOT NULL,
  `description` text NOT NULL DEFAULT (''),
  `permissions` json NOT NULL,
  `module` text NOT NULL DEFAULT (''),
  `removed` bool NOT NULL DEFAULT (false),
  PRIMARY KEY (`id`)
);
-- create index "role_name_organization_id" to table: "roles"
CREATE UNIQUE INDEX `role_name_organization_id` ON `roles` (`name`, `organization_id`);
-- create index "role_module" to table: "roles"
CREATE INDEX `role_module` ON `roles` (`module`);
