-- +goose Up
-- create index "event_occurred_at_sequence" to table: "events"
CREATE INDEX `event_occurred_at_sequence` ON `events` (`occurred_at`, `sequence`);
-- create index "event_organization_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_organization_id_occurred_at_sequence` ON `events` (`organization_id`, `occurred_at`, `sequence`);
-- create index "event_actor_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_actor_id_occurred_at_sequence` ON `events` (`actor_id`, `occurred_at`, `sequence`);
-- create index "event_actor_id_organization_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_actor_id_organization_id_occurred_at_sequence` ON `events` (`actor_id`, `organization_id`, `occurred_at`, `sequence`);
-- create index "event_resource_occurred_at_sequence" to table: "events"
CREATE INDEX `event_resource_occurred_at_sequence` ON `events` (`resource`, `occurred_at`, `sequence`);
-- create index "event_resource_organization_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_resource_organization_id_occurred_at_sequence` ON `events` (`resource`, `organization_id`, `occurred_at`, `sequence`);
-- create index "event_action_occurred_at_sequence" to table: "events"
CREATE INDEX `event_action_occurred_at_sequence` ON `events` (`action`, `occurred_at`, `sequence`);
-- create index "event_action_organization_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_action_organization_id_occurred_at_sequence` ON `events` (`action`, `organization_id`, `occurred_at`, `sequence`);
-- create index "event_outcome_occurred_at_sequence" to table: "events"
CREATE INDEX `event_outcome_occurred_at_sequence` ON `events` (`outcome`, `occurred_at`, `sequence`);
-- create index "event_outcome_organization_id_occurred_at_sequence" to table: "events"
CREATE INDEX `event_outcome_organization_id_occurred_at_sequence` ON `events` (`outcome`, `organization_id`, `occurred_at`, `sequence`);
