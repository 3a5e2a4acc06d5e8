-- +goose Up
-- create index "change_organization_id_user_id_id" to table: "changes"
CREATE INDEX "change_organization_id_user_id_id" ON "changes" ("organization_id", "user_id", "id");
