-- +goose Up
-- create index "grant_organization_id_user_id_id" to table: "grants"
CREATE INDEX `grant_organization_id_user_id_id` ON `grants` (`organization_id`, `user_id`, `id`);
-- create index "role_organization_id_name" to table: "roles"
CREATE INDEX `role_organization_id_name` ON `roles` (`organization_id`, `name`);
