-- +goose Up
-- create "api_keys" table
CREATE TABLE "api_keys" (
  "id" character varying NOT NULL,
  "user_id" character varying NOT NULL,
  "organization_id" character varying NOT NULL DEFAULT '',
  "display_name" character varying NOT NULL,
  "secret_hash" bytea NOT NULL,
  "created_at" timestamptz NOT NULL,
  "expires_at" timestamptz NOT NULL,
  "used_at" timestamptz NULL,
  "revoked_at" timestamptz NULL,
  "request_key" character varying NULL,
  PRIMARY KEY ("id")
);
-- create index "api_keys_request_key_key" to table: "api_keys"
CREATE UNIQUE INDEX "api_keys_request_key_key" ON "api_keys" ("request_key");
-- create index "apikey_expires_at" to table: "api_keys"
CREATE INDEX "apikey_expires_at" ON "api_keys" ("expires_at");
-- create index "apikey_live_user_id_id" to table: "api_keys"
CREATE INDEX "apikey_live_user_id_id" ON "api_keys" ("user_id", "id") WHERE (revoked_at IS NULL);
