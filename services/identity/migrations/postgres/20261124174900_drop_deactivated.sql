-- +goose Up
-- ashlar:contract since=20261124174001: programs with that migration read and write "deactivated_at" alone, and count versions themselves
DROP TRIGGER "organizations_side_by_side" ON "organizations";
DROP FUNCTION "organizations_side_by_side"();
DROP TRIGGER "users_side_by_side" ON "users";
DROP FUNCTION "users_side_by_side"();
ALTER TABLE "users" DROP COLUMN "deactivated";
