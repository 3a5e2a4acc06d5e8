-- +goose Up
-- create "modules" table
CREATE TABLE `modules` (
  `id` text NOT NULL,
  `created_at` datetime NOT NULL,
  `updated_at` datetime NOT NULL,
  `version` text NOT NULL DEFAULT (''),
  PRIMARY KEY (`id`)
);
