-- +goose Up
-- create "turns" table
CREATE TABLE "turns" (
  "id" character varying NOT NULL,
  PRIMARY KEY ("id")
);
