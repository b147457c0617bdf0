# No function of the program is called: this gdb cannot do that on processors with AMX registers.
set pagination off
set confirm off
set width 0
set print thread-events off
set print address off
set debuginfod enabled off
break finished
run
backtrace
print *tree
print *tree->right
python
def depth(node):
    return 0 if node == 0 else 1 + max(depth(node["left"]), depth(node["right"]))
print("depth", depth(gdb.parse_and_eval("tree")))
end
continue
up
print first_key != 0
list plant_subtree
ptype struct node
condition 1 total < 0
continue
