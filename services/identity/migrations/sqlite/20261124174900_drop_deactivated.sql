-- +goose Up
-- ashlar:contract since=20261124174001: programs with that migration read and write "deactivated_at" alone, and count versions themselves
DROP TRIGGER `organizations_changed`;
DROP TRIGGER `users_changed`;
DROP TRIGGER `users_deactivated_at`;
DROP TRIGGER `users_deactivated`;
DROP TRIGGER `users_inserted`;
ALTER TABLE `users` DROP COLUMN `deactivated`;
