"""Lists of runs: pages by number, exact totals, filters and sort orders over DynamoDB.

The API contract asks for an exact total and for any page by its number. DynamoDB offers neither: a
query returns keys in order, and a count reads every key. So each list is read from an index that
already has its order, by keys alone: half a read unit for about 60 keys. Lists of ended runs only
grow at their end until a run is deleted. For them, `position_markers` stores the entry at every
250th position. A reader counts only the entries after the last marker, and starts a page at the
nearest marker before it. A deletion invalidates the markers of its lists for 15 minutes.

    active_runs         counts the active runs of a project or an organization
    run_list_plan       finds the index partitions with the requested runs, and their order
    index_reader        reads and counts one partition
    position_markers    stores positions of long partitions
    run_facts           reads the records of runs to filter and sort them
    combined_filters    combines filters that no single index has
    run_lists           combines partitions into a page
"""
