-- +goose Up
-- modify "roles" table
ALTER TABLE "roles" ADD COLUMN "request_key" character varying NULL;
-- create index "roles_request_key_key" to table: "roles"
CREATE UNIQUE INDEX "roles_request_key_key" ON "roles" ("request_key");
