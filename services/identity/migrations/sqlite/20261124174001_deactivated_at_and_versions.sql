-- +goose Up
ALTER TABLE `organizations` ADD COLUMN `version` integer NOT NULL DEFAULT 1;
ALTER TABLE `users` ADD COLUMN `deactivated_at` datetime NULL;
ALTER TABLE `users` ADD COLUMN `version` integer NOT NULL DEFAULT 1;
-- When they were deactivated is not known; it was not later than this.
UPDATE `users` SET `deactivated_at` = `updated_at` WHERE `deactivated`;
-- Programs of the release before write `deactivated` and know no versions, those of this one write `deactivated_at` and
-- `version`: what one of them writes, the other one reads. A trigger's own change satisfies no other one's WHEN.
-- +goose StatementBegin
CREATE TRIGGER `users_inserted` AFTER INSERT ON `users` WHEN new.`deactivated` <> (new.`deactivated_at` IS NOT NULL) BEGIN
  UPDATE `users` SET `deactivated` = true, `deactivated_at` = coalesce(new.`deactivated_at`, new.`updated_at`) WHERE `id` = new.`id`;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `users_deactivated` AFTER UPDATE OF `deactivated` ON `users`
  WHEN new.`deactivated` <> old.`deactivated` AND new.`deactivated` <> (new.`deactivated_at` IS NOT NULL) BEGIN
  UPDATE `users` SET `deactivated_at` = CASE WHEN new.`deactivated` THEN new.`updated_at` END, `version` = old.`version` + 1 WHERE `id` = new.`id`;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `users_deactivated_at` AFTER UPDATE OF `deactivated_at` ON `users` WHEN new.`deactivated` <> (new.`deactivated_at` IS NOT NULL) BEGIN
  UPDATE `users` SET `deactivated` = new.`deactivated_at` IS NOT NULL WHERE `id` = new.`id`;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `users_changed` AFTER UPDATE OF `email`, `display_name` ON `users` WHEN new.`version` = old.`version` BEGIN
  UPDATE `users` SET `version` = old.`version` + 1 WHERE `id` = new.`id`;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER `organizations_changed` AFTER UPDATE OF `display_name`, `deactivated` ON `organizations` WHEN new.`version` = old.`version` BEGIN
  UPDATE `organizations` SET `version` = old.`version` + 1 WHERE `id` = new.`id`;
END;
-- +goose StatementEnd
