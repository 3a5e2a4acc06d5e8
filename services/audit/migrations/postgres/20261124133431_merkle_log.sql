-- +goose Up
-- ashlar:contract: an instance of the release before cannot append events to a log whose leaves are numbered, and must not
-- modify "events" table: those that are there already get their places in the order in which they came
ALTER TABLE "events" ADD COLUMN "leaf_index" bigint NULL;
UPDATE "events" SET "leaf_index" = "placed"."leaf_index"
  FROM (SELECT "sequence", ROW_NUMBER() OVER (ORDER BY "sequence") - 1 AS "leaf_index" FROM "events") AS "placed"
  WHERE "placed"."sequence" = "events"."sequence";
ALTER TABLE "events" ALTER COLUMN "leaf_index" SET NOT NULL;
-- create index "events_leaf_index_key" to table: "events"
CREATE UNIQUE INDEX "events_leaf_index_key" ON "events" ("leaf_index");
-- create "tree_hashes" table
CREATE TABLE "tree_hashes" (
  "id" bigint NOT NULL,
  "hash" bytea NOT NULL,
  PRIMARY KEY ("id")
);
-- create "tree_heads" table
CREATE TABLE "tree_heads" (
  "id" character varying NOT NULL,
  "created_at" timestamptz NOT NULL,
  "updated_at" timestamptz NOT NULL,
  "checkpoint" text NOT NULL,
  "origin" character varying NOT NULL,
  "public_key" bytea NOT NULL,
  "sealed_private_key" bytea NOT NULL,
  PRIMARY KEY ("id")
);
