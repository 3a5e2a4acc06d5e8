-- +goose Up
-- create index "event_action_organization_id_sequence" to table: "events"
CREATE INDEX "event_action_organization_id_sequence" ON "events" ("action", "organization_id", "sequence");
-- create index "event_actor_id_organization_id_sequence" to table: "events"
CREATE INDEX "event_actor_id_organization_id_sequence" ON "events" ("actor_id", "organization_id", "sequence");
-- create index "event_outcome_organization_id_sequence" to table: "events"
CREATE INDEX "event_outcome_organization_id_sequence" ON "events" ("outcome", "organization_id", "sequence");
-- create index "event_resource_organization_id_sequence" to table: "events"
CREATE INDEX "event_resource_organization_id_sequence" ON "events" ("resource", "organization_id", "sequence");
