-- +goose Up
-- modify "roles" table
ALTER TABLE "roles" ADD COLUMN "version" bigint NOT NULL DEFAULT 1;
