-- +goose Up
ALTER TABLE "organizations" ADD COLUMN "version" bigint NOT NULL DEFAULT 1;
ALTER TABLE "users" ADD COLUMN "deactivated_at" timestamptz NULL, ADD COLUMN "version" bigint NOT NULL DEFAULT 1;
-- When they were deactivated is not known; it was not later than this.
UPDATE "users" SET "deactivated_at" = "updated_at" WHERE "deactivated";
-- Programs of the release before write "deactivated" and know no versions, those of this one write "deactivated_at" and
-- "version": what one of them writes, the other one reads.
-- +goose StatementBegin
CREATE FUNCTION "users_side_by_side"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW."deactivated_at" IS NOT NULL THEN
      NEW."deactivated" := true;
    ELSIF NEW."deactivated" THEN
      NEW."deactivated_at" := NEW."updated_at";
    END IF;
    RETURN NEW;
  END IF;
  IF NEW."deactivated_at" IS DISTINCT FROM OLD."deactivated_at" THEN
    NEW."deactivated" := NEW."deactivated_at" IS NOT NULL;
  ELSIF NEW."deactivated" <> OLD."deactivated" THEN
    NEW."deactivated_at" := CASE WHEN NEW."deactivated" THEN NEW."updated_at" END;
  END IF;
  IF NEW."version" = OLD."version" THEN
    NEW."version" := OLD."version" + 1;
  END IF;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "users_side_by_side" BEFORE INSERT OR UPDATE ON "users" FOR EACH ROW EXECUTE FUNCTION "users_side_by_side"();
-- +goose StatementBegin
CREATE FUNCTION "organizations_side_by_side"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."version" := OLD."version" + 1;
  RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER "organizations_side_by_side" BEFORE UPDATE ON "organizations" FOR EACH ROW
  WHEN (NEW."version" = OLD."version") EXECUTE FUNCTION "organizations_side_by_side"();
