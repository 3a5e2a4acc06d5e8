-- +goose Up
-- ashlar:contract since=20261124175406: programs with that migration list sessions by the index of those that were not ended
-- drop index "session_user_id_id" from table: "sessions"
DROP INDEX `session_user_id_id`;
