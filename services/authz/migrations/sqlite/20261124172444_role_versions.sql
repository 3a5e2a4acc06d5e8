-- +goose Up
-- add column "version" to table: "roles"
ALTER TABLE `roles` ADD COLUMN `version` integer NOT NULL DEFAULT 1;
