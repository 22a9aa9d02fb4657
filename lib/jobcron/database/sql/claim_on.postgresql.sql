-- Go on claiming where a claim has ended, at the job :last of the priority :priority and the due time :start: see
-- claim.postgresql.sql. Jobs with a better place are not seen.
@claim_on
