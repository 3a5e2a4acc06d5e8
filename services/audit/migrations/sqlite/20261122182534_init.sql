-- +goose Up
-- create "events" table
CREATE TABLE `events` (
  `sequence` integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  `event_id` text NOT NULL,
  `occurred_at` datetime NOT NULL,
  `service` text NOT NULL,
  `procedure` text NOT NULL,
  `action` text NOT NULL,
  `actor_kind` integer NOT NULL,
  `actor_id` text NOT NULL,
  `session_id` text NOT NULL,
  `organization_id` text NOT NULL,
  `resource` text NOT NULL,
  `outcome` integer NOT NULL,
  `reason` text NOT NULL,
  `trace_id` text NOT NULL,
  `attributes` json NOT NULL
);
-- create index "events_event_id_key" to table: "events"
CREATE UNIQUE INDEX `events_event_id_key` ON `events` (`event_id`);
-- create index "event_organization_id_sequence" to table: "events"
CREATE INDEX `event_organization_id_sequence` ON `events` (`organization_id`, `sequence`);
-- create index "event_actor_id_sequence" to table: "events"
CREATE INDEX `event_actor_id_sequence` ON `events` (`actor_id`, `sequence`);
-- create index "event_resource_sequence" to table: "events"
CREATE INDEX `event_resource_sequence` ON `events` (`resource`, `sequence`);
-- create index "event_action_sequence" to table: "events"
CREATE INDEX `event_action_sequence` ON `events` (`action`, `sequence`);
-- create index "event_outcome_sequence" to table: "events"
CREATE INDEX `event_outcome_sequence` ON `events` (`outcome`, `sequence`);
-- create index "event_occurred_at" to table: "events"
CREATE INDEX `event_occurred_at` ON `events` (`occurred_at`);
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
