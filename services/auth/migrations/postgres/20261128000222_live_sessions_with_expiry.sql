-- +goose Up
-- ashlar:contract since=20261124175406: the new indexes begin with the columns of those that go, and answer what they did
-- create index "apikey_live_user_id_id_expires_at" to table: "api_keys"
CREATE INDEX "apikey_live_user_id_id_expires_at" ON "api_keys" ("user_id", "id", "expires_at") WHERE (revoked_at IS NULL);
-- create index "session_live_user_id_id_expires_at" to table: "sessions"
CREATE INDEX "session_live_user_id_id_expires_at" ON "sessions" ("user_id", "id", "expires_at") WHERE (revoked_at IS NULL);
-- drop index "apikey_live_user_id_id" from table: "api_keys"
DROP INDEX "apikey_live_user_id_id";
-- drop index "session_live_user_id_id" from table: "sessions"
DROP INDEX "session_live_user_id_id";
