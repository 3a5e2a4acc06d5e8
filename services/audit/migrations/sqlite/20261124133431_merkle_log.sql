-- +goose Up
-- ashlar:contract: an instance of the release before cannot append events to a log whose leaves are numbered, and must not
-- create "new_events" table
CREATE TABLE `new_events` (
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
  `attributes` json NOT NULL,
  `leaf_index` integer NOT NULL
);
-- copy rows from old table "events" to new temporary table "new_events", with their places in the order in which they came
INSERT INTO `new_events` (`sequence`, `event_id`, `occurred_at`, `service`, `procedure`, `action`, `actor_kind`, `actor_id`, `session_id`, `organization_id`, `resource`, `outcome`, `reason`, `trace_id`, `attributes`, `leaf_index`) SELECT `sequence`, `event_id`, `occurred_at`, `service`, `procedure`, `action`, `actor_kind`, `actor_id`, `session_id`, `organization_id`, `resource`, `outcome`, `reason`, `trace_id`, `attributes`, ROW_NUMBER() OVER (ORDER BY `sequence`) - 1 FROM `events`;
-- drop "events" table after copying rows
DROP TABLE `events`;
-- rename temporary table "new_events" to "events"
ALTER TABLE `new_events` RENAME TO `events`;
-- create index "events_event_id_key" to table: "events"
CREATE UNIQUE INDEX `events_event_id_key` ON `events` (`event_id`);
-- create index "events_leaf_index_key" to table: "events"
CREATE UNIQUE INDEX `events_leaf_index_key` ON `events` (`leaf_index`);
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
-- create "tree_hashes" table
CREATE TABLE `tree_hashes` (
  `id` integer NOT NULL,
  `hash` blob NOT NULL,
  PRIMARY KEY (`id`)
);
-- create "tree_heads" table
CREATE TABLE `tree_heads` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `checkpoint` text NOT NULL,
  `origin` text NOT NULL,
  `public_key` blob NOT NULL,
  `sealed_private_key` blob NOT NULL,
  PRIMARY KEY (`id`)
);
