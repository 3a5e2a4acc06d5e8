-- +goose Up
-- create "turns" table
CREATE TABLE `turns` (
  `id` text NOT NULL,
  PRIMARY KEY (`id`)
);
