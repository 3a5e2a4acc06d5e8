-- +goose Up
-- create "modules" table
CREATE TABLE "modules" (
  "id" character varying NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "version" character varying NOT NULL DEFAULT '',
  PRIMARY KEY ("id")
);
