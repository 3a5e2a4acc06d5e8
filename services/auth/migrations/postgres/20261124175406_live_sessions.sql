-- +goose Up
-- create index "session_live_user_id_id" to table: "sessions"
CREATE INDEX "session_live_user_id_id" ON "sessions" ("user_id", "id") WHERE (revoked_at IS NULL);
