-- +goose Up
-- create "api_keys" table
CREATE TABLE `api_keys` (
  `id` text NOT NULL,
  `user_id` text NOT NULL,
  `organization_id` text NOT NULL DEFAULT (''),
  `display_name` text NOT NULL,
  `secret_hash` blob NOT NULL,
  `created_at` datetime NOT NULL,
  `expires_at` datetime NOT NULL,
  `used_at` datetime NULL,
  `revoked_at` datetime NULL,
  `request_key` text NULL,
  PRIMARY KEY (`id`)
);
-- create index "api_keys_request_key_key" to table: "api_keys"
CREATE UNIQUE INDEX `api_keys_request_key_key` ON `api_keys` (`request_key`);
-- create index "apikey_live_user_id_id" to table: "api_keys"
CREATE INDEX `apikey_live_user_id_id` ON `api_keys` (`user_id`, `id`) WHERE revoked_at IS NULL;
-- create index "apikey_expires_at" to table: "api_keys"
CREATE INDEX `apikey_expires_at` ON `api_keys` (`expires_at`);
